-- Keep the lease, or let it go: in both cases only if it is still ours.
-- ARGV: my lease, run id, lease in ms (0: the run is over), number of my admission, number seen,
--       when the run succeeded (0: not), how many words the measures are, the measures (names and
--       amounts), then the record as the worker knows it.
-- Answers {'lost'}, {'cancel', number} or {'held', number}.
local mine, run, lease_ms, admission = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local records = string.sub(RECORD, 1, -#run - 1) -- what all records' names begin with
local over = lease_ms == '0'
-- The end is in the record already. Either only the answer to our first try was lost; nothing counts
-- twice. Or this is a renewal that was on its way for longer than its run.
if redis.call('HGET', RECORD, 'finished_at') then
  return over and { 'held', field(MARKER, 'number') } or { 'lost' }
end
-- Without a lease, the run may take it again: Redis forgot it (a restart, say), or it has just run
-- out. The run is lost when another one holds the lease, or when a newer one was admitted.
local holder = redis.call('GET', LEASE)
local newest = redis.call('LINDEX', INDEX, 0)
local newer = newest and newest ~= run and field(records .. newest, 'admitted_as') > admission
if holder ~= mine and (holder or newer) then
  return { 'lost' }
end
if redis.call('HGET', RECORD, 'status') == 'LOST' then -- settled: clients were told so already
  return { 'lost' }
end
local measures = tonumber(ARGV[7])
redis.call('HSET', RECORD, 'admitted_as', admission, unpack(ARGV, 8 + measures))
if newest ~= run then
  redis.call('LREM', INDEX, 0, run)
  redis.call('LPUSH', INDEX, run)
end
redis.call('DEL', GRACE) -- the run that starts were waiting for has come back
if over then
  let_go()
  redis.call('HINCRBY', TOTALS, redis.call('HGET', RECORD, 'status'), 1)
  for place = 8, 7 + measures, 2 do
    redis.call('HINCRBYFLOAT', MEASURES, ARGV[place], ARGV[place + 1])
  end
  if ARGV[6] ~= '0' then
    redis.call('HSET', MEASURES, 'last_success', ARGV[6])
  end
else
  take(mine, lease_ms)
end
local number = grow(ARGV[5])
return { redis.call('HGET', RECORD, 'cancel_requested') and 'cancel' or 'held', number }
