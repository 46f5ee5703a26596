-- ARGV: id, FIELDS of the call, its cost, its outcome, now, about how many lines the ledger keeps.
-- Returns the totals.
local call = call_of(ARGV[1], {unpack(ARGV, 2, 8)})
finish(call, ARGV[9], ARGV[10], ARGV[11], ARGV[12])
return totals(call)
