-- What all scripts share.
--
-- All keys begin with KEYS[1], which is a hash tag: they are in one slot, also those that a script makes up.
-- Numbers are doubles here, whole up to 2^53, which Money::MAX keeps to; what is kept is counted by HINCRBY.

local UNDER_WAY, UNUSED, LOST = '0', '4', '5'
-- How long an end is remembered, in milliseconds, against a second one; a lost call's may be corrected for longer.
local HOUR, WEEK = 3600000, 604800000
local FIELDS = {'request', 'tenant', 'model', 'month', 'router', 'reserved', 'begun'}

local function key(...)
  return table.concat({KEYS[1], ...}, ':')
end

local function whole(number)
  return number == 0 and '0' or string.format('%.0f', number)
end

-- The call of `id` from the values of FIELDS.
local function call_of(id, values)
  local call = {id = id}
  for index, field in ipairs(FIELDS) do call[field] = values[index] end
  return call
end

-- FIELDS of a call with their values, and more of such pairs, in one list.
local function pairs_of(call, ...)
  local list = {...}
  for _, field in ipairs(FIELDS) do
    list[#list + 1] = field
    list[#list + 1] = call[field]
  end
  return unpack(list)
end

-- Spent and reserved, of the mesh and of the tenant.
local function totals(call)
  local names = {'spent', 'reserved', 'spent:' .. call.tenant, 'reserved:' .. call.tenant}
  local found = redis.call('HMGET', key('totals', call.month), unpack(names))
  for index = 1, #names do found[index] = found[index] or '0' end
  return found
end

local function add(call, field, amount)
  redis.call('HINCRBY', key('totals', call.month), field, whole(amount))
  redis.call('HINCRBY', key('totals', call.month), field .. ':' .. call.tenant, whole(amount))
end

local function add_model(call, field, amount)
  local name = table.concat({field, #call.tenant, call.tenant .. call.model}, ':')
  redis.call('HINCRBY', key('models', call.month), name, whole(amount))
end

-- 1 for an outcome of a call that was made, else 0.
local function counts(outcome)
  return outcome and outcome ~= UNDER_WAY and outcome ~= UNUSED and 1 or 0
end

-- Ends a call, unless it has its end; a lost one was only assumed to cost all that it held.
local function finish(call, cost, outcome, now, length)
  local record = key('call', call.id)
  local known, assumed = unpack(redis.call('HMGET', record, 'outcome', 'cost'))
  if known and known ~= UNDER_WAY and known ~= LOST then return end
  if known == UNDER_WAY then
    add(call, 'reserved', -call.reserved)
    redis.call('ZREM', key('open'), call.id)
  end
  local spent = cost - (assumed or 0)
  add(call, 'spent', spent)
  add_model(call, 'spent', spent)
  add_model(call, 'calls', counts(outcome) - counts(known))
  redis.call('HSET', record, 'outcome', outcome, 'cost', cost)
  redis.call('PEXPIRE', record, outcome == LOST and WEEK or HOUR)
  local line = {'id', call.id, 'cost', cost, 'outcome', outcome, 'ended', now}
  redis.call('XADD', key('ledger'), 'MAXLEN', '~', length, '*', pairs_of(call, unpack(line)))
end

