module Simulation

using LinearAlgebra
export step!, Particle

"A point with a speed."
struct Particle{T<:Real}
    x::T
    v::T
end

mutable struct World
    particles::Vector{Particle}
end

abstract type Force end

const G = 9.81

"""
    step!(world, dt)

Move everything on.
"""
function step!(world::World, dt)
    for p in world.particles
        move(p, dt)
    end
end

move(p::Particle, dt) = Particle(p.x + p.v * dt, p.v)

function Base.show(io::IO, p::Particle)
    print(io, p.x)
end

macro timed(ex)
    quote
        $(esc(ex))
    end
end

energy(p::Particle{T}) where {T} = p.v^2 / 2

double = x -> 2x

end
