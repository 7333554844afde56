-- Cancel what holds the lease. Unclaimed: it ends here and now, worker or no worker, and its
-- message will claim nothing. Claimed: leave a mark, which the worker's heartbeat will see.
-- KEYS: lease, totals, what this request has cancelled. ARGV: now, what to say of it, seconds to
-- remember the request. Answers the run's id, or nil.
local done = redis.call('GET', KEYS[3])
if done then -- by our own first try: only its answer was lost. Another run may go on meanwhile.
  return done
end
local holder = redis.call('GET', KEYS[1])
if not holder then
  return false
end
local run, owner = string.match(holder, '^([^:]+):(.+)$')
local record = 'nb:run:' .. run
redis.call('SET', KEYS[3], run, 'EX', ARGV[3])
redis.call('HSET', record, 'cancel_requested', '1')
if owner == 'admitted' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', record, 'status', 'CANCELLED', 'finished', ARGV[1], 'error', ARGV[2])
  redis.call('HINCRBY', KEYS[2], 'CANCELLED', 1)
end
return run
