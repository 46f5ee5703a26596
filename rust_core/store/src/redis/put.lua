-- ARGV: key, the revision that is expected, text.
-- Returns whether it was written, and the revision it is at.
local found = redis.call('HGET', key('documents'), ARGV[1])
local actual = found and string.match(found, '^%d+') or '0'
if actual ~= ARGV[2] then return {0, actual} end
local revision = whole(actual + 1)
redis.call('HSET', key('documents'), ARGV[1], revision .. ' ' .. ARGV[3])
return {1, revision}
