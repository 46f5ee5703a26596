-- KEYS: the root, a set that others may read and write too.
-- ARGV: key, the revision that is expected, text, how many names, the names, names that are no longer among them.
-- Returns whether it was written, and the revision it is at.
local found = redis.call('HGET', key('documents'), ARGV[1])
local actual = found and string.match(found, '^%d+') or '0'
if actual ~= ARGV[2] then return {0, actual} end
local revision = whole(actual + 1)
redis.call('HSET', key('documents'), ARGV[1], revision .. ' ' .. ARGV[3])
local names = tonumber(ARGV[4])
for index = 1, names do redis.call('SADD', KEYS[2], ARGV[4 + index]) end
for index = 5 + names, #ARGV do redis.call('SREM', KEYS[2], ARGV[index]) end
return {1, revision}
