-- ARGV: now, how many calls at most, about how many lines the ledger keeps.
-- Returns how many calls were overdue; each is taken for lost, at all that it holds.
local now, limit, length = ARGV[1], ARGV[2], ARGV[3]
local overdue = redis.call('ZRANGEBYSCORE', key('open'), '-inf', now, 'LIMIT', 0, limit)
for _, id in ipairs(overdue) do
  local call = call_of(id, redis.call('HMGET', key('call', id), unpack(FIELDS)))
  finish(call, call.reserved, LOST, now, length)
end
return #overdue
