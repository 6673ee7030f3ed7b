const std = @import("std");

/// Memory that is freed at once.
pub const Arena = struct {
    buffer: []u8,
    used: usize = 0,

    pub fn init(buffer: []u8) Arena {
        return .{ .buffer = buffer };
    }

    /// Takes some of it.
    pub fn alloc(self: *Arena, size: usize) ![]u8 {
        if (self.used + size > self.buffer.len) return error.OutOfMemory;
        defer self.used += size;
        return self.buffer[self.used .. self.used + size];
    }
};

const Color = enum { red, green };

pub const Value = union(enum) {
    int: i64,
    text: []const u8,
};

const Failure = error{ Missing, Broken };

const limit: usize = 10;

fn add(a: i32, b: i32) i32 {
    return a + b;
}

pub fn List(comptime T: type) type {
    return struct {
        items: []T,

        fn first(self: @This()) T {
            return self.items[0];
        }
    };
}

test "adds" {
    try std.testing.expect(add(1, 2) == 3);
}
