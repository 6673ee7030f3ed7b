--- A queue with two ends.
local Queue = {}
Queue.__index = Queue

function Queue.new(items)
  return setmetatable({ items = items or {}, first = 1 }, Queue)
end

-- Puts something at the end.
function Queue:push(item)
  self.items[#self.items + 1] = item
end

Queue.pop = function(self)
  local item = self.items[self.first]
  self.first = self.first + 1
  return item
end

local function is_empty(queue)
  return #queue.items < queue.first
end

local size = function(queue) return #queue.items - queue.first + 1 end

local M = {
  empty = function(queue) return is_empty(queue) end,
}

function main() print(size(Queue.new({ 1, 2 }))) end

return M
