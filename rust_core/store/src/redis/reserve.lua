-- ARGV: id, FIELDS of the call, when it expires, the caps of mesh and tenant ('' for none).
-- Returns whether the amount is held, and the totals.
local call = call_of(ARGV[1], {unpack(ARGV, 2, 8)})
local expires, caps = ARGV[9], {ARGV[10], ARGV[11]}
local record = key('call', call.id)

local outcome = redis.call('HGET', record, 'outcome')
if outcome then return {outcome == UNDER_WAY and 1 or 0, unpack(totals(call))} end

local before = totals(call)
for scope, cap in ipairs(caps) do
  local used = before[2 * scope - 1] + before[2 * scope]
  -- Not used + reserved > cap: the sum may be too large to be whole.
  if cap ~= '' and tonumber(call.reserved) > cap - used then return {0, unpack(before)} end
end

redis.call('HSET', record, pairs_of(call, 'outcome', UNDER_WAY, 'cost', 0))
redis.call('ZADD', key('open'), expires, call.id)
add(call, 'reserved', call.reserved)
return {1, unpack(totals(call))}
