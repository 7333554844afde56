-- Admission: in one step either this run takes the lease, or the run that blocks it is named.
-- ARGV: run id, number seen, lease in ms, key of the workers, queue, runs to keep, then the fields
--       of the record.
-- Answers {'admitted', number}, {'refused', run id} or {'forgot', ms to wait}.
local run, seen, lease_ms, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[6])
local records = string.sub(RECORD, 1, -#run - 1) -- what all records' names begin with

-- Our own first try got here, and only its answer was lost; or it got here late. The run may even
-- have ended since then.
if redis.call('EXISTS', RECORD) == 1 then
  return { 'admitted', field(MARKER, 'number') }
end

local wait = left_to_wait(seen, lease_ms)
local holder = redis.call('GET', LEASE)
if holder then
  local other = string.match(holder, '^[^:]+')
  redis.call('HINCRBY', TOTALS, 'refused', 1)
  return { 'refused', other }
end
if wait > 0 then
  return { 'forgot', wait }
end

settle(records, ARGV[4], ARGV[5])
take(run .. ':admitted', lease_ms)
local number = grow(seen)
redis.call('HSET', RECORD, 'admitted_as', number, unpack(ARGV, 7))
trim(records, keep) -- before this run is one of them: its start may be taken back
redis.call('LPUSH', INDEX, run)
return { 'admitted', number }
