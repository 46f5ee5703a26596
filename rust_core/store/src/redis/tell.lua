-- ARGV: topic, router, text ('' where it only listens), the last entry it has heard.
-- Returns the time in milliseconds, and what was told since: id and fields of each entry.
local LENGTH, MOST, DAY = 2000, 2000, 86400000
local topic = key('told', ARGV[1])
local seconds, micros = unpack(redis.call('TIME'))
local since = redis.call('XRANGE', topic, '(' .. ARGV[4], '+', 'COUNT', MOST)
if ARGV[3] ~= '' then
  redis.call('XADD', topic, 'MAXLEN', '~', LENGTH, '*', 'router', ARGV[2], 'text', ARGV[3])
  redis.call('PEXPIRE', topic, DAY)
end
return {whole(seconds * 1000 + math.floor(micros / 1000)), since}
