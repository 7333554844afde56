-- Look at the marker, and at a run that has lost its lease. An API process does it now and then, and
-- when it reads of an active run without a lease.
-- ARGV: number seen, lease in ms, key of the workers, queue. Answers the number.
local wait = left_to_wait(ARGV[1], tonumber(ARGV[2]))
if wait <= 0 and redis.call('EXISTS', LEASE) == 0 then
  settle(RECORD, ARGV[3], ARGV[4])
end
local number = field(MARKER, 'number')
return number > 0 and number or grow(0) -- from now on it can be missed
