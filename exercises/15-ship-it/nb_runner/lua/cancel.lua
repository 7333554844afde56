-- Cancel what holds the lease. Unclaimed: it ends here and now, worker or no worker, and its
-- message will claim nothing. Claimed: leave a mark, which the worker's heartbeat will see.
-- ARGV: the run that is meant ('': whichever holds the lease), now, seconds to remember the request,
--       where to remember what this request has cancelled.
-- Answers {'cancelled', run id}, {'other', run id} or {'none'}.
local meant, at, remember, request = unpack(ARGV)
local records = string.sub(RECORD, 1, -#meant - 1)
local done = redis.call('GET', request)
if done then -- by our own first try: only its answer was lost. Another run may go on meanwhile.
  return { 'cancelled', done }
end
local holder = redis.call('GET', LEASE)
if not holder then
  return { 'none' }
end
local run, owner = string.match(holder, '^([^:]+):(.+)$')
if meant ~= '' and meant ~= run then
  return { 'other', run }
end
local record = records .. run
redis.call('SET', request, run, 'EX', remember)
redis.call('HSET', record, 'cancel_requested', '1')
if owner == 'admitted' then
  let_go()
  redis.call('HSET', record, 'status', 'CANCELLED', 'finished_at', at, 'reason', 'cancelled')
  redis.call('HINCRBY', TOTALS, 'CANCELLED', 1)
end
return { 'cancelled', run }
