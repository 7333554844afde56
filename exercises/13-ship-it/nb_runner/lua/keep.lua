-- Keep the lease, or let it go: in both cases only if it is still ours.
-- KEYS: lease, index of runs, record, totals.
-- ARGV: my lease, run id, lease in ms (0: the run is over), then the record as the worker knows it.
-- Answers 'lost', 'cancel' or 'held'.
local mine, run, lease_ms = ARGV[1], ARGV[2], ARGV[3]
local holder = redis.call('GET', KEYS[1])
local newest = redis.call('LINDEX', KEYS[2], 0)
-- No lease, and no newer run: Redis forgot it (a restart, say). Nobody else can have started.
if holder ~= mine and (holder or (newest and newest ~= run)) then
  return 'lost'
end
local over = lease_ms == '0'
local before = redis.call('HGET', KEYS[3], 'finished')
if before and not over then -- a renewal that was on its way for longer than its run
  return 'lost'
end
redis.call('HSET', KEYS[3], unpack(ARGV, 4))
if not newest then
  redis.call('LPUSH', KEYS[2], run)
end
if over then
  redis.call('DEL', KEYS[1])
  if not before then -- a second try, because the first one's answer was lost, does not count again
    redis.call('HINCRBY', KEYS[4], redis.call('HGET', KEYS[3], 'status'), 1)
  end
else
  redis.call('SET', KEYS[1], mine, 'PX', lease_ms)
end
return redis.call('HGET', KEYS[3], 'cancel_requested') and 'cancel' or 'held'
