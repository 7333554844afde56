-- Keep the lease, or let it go: in both cases only if it is still ours.
-- ARGV: my lease, run id, lease in ms (0: the run is over), number of my admission, number seen,
--       when the run succeeded (0: not), how many words the measures are, the measures (names and
--       amounts), then the record as the worker knows it.
-- Answers {'lost'}, {'cancel', number} or {'held', number}.
local mine, run, lease_ms, admission = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local records = string.sub(RECORD, 1, -#run - 1)
local holder = redis.call('GET', LEASE)
local newest = redis.call('LINDEX', INDEX, 0)
-- No lease, and no newer run: Redis forgot the lease (a restart, say), or it has just run out. Nobody
-- else can have started.
local newer = newest and newest ~= run and field(records .. newest, 'admitted_as') > admission
if holder ~= mine and (holder or newer) then
  return { 'lost' }
end
local over = lease_ms == '0'
local before = redis.call('HGET', RECORD, 'finished_at')
if before and not over then -- a renewal that was on its way for longer than its run
  return { 'lost' }
end
if not before and redis.call('HGET', RECORD, 'status') == 'LOST' then -- that has been told already
  return { 'lost' }
end
local measures = tonumber(ARGV[7])
redis.call('HSET', RECORD, 'admitted_as', admission, unpack(ARGV, 8 + measures))
if newest ~= run then
  redis.call('LREM', INDEX, 0, run)
  redis.call('LPUSH', INDEX, run)
end
redis.call('DEL', GRACE) -- who was waited for has come back
if over then
  let_go()
  if not before then -- a second try, because the first one's answer was lost, does not count again
    redis.call('HINCRBY', TOTALS, redis.call('HGET', RECORD, 'status'), 1)
    for place = 8, 7 + measures, 2 do
      redis.call('HINCRBYFLOAT', MEASURES, ARGV[place], ARGV[place + 1])
    end
    if ARGV[6] ~= '0' then
      redis.call('HSET', MEASURES, 'last_success', ARGV[6])
    end
  end
else
  take(mine, lease_ms)
end
local number = grow(ARGV[5])
return { redis.call('HGET', RECORD, 'cancel_requested') and 'cancel' or 'held', number }
