-- Admission: in one step either this run takes the lease, or the run in the way is named.
-- KEYS: lease, index of runs, totals, record.
-- ARGV: run id, lease in ms, runs to keep, server last seen ('' for a first look), what to say of
--       a lost run that was QUEUED, or RUNNING, then the fields of the record.
-- Answers {'admitted', server}, {'refused', run id} or {'grace', ms to wait}.
local run, lease_ms, keep, seen = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local info = redis.call('INFO', 'server')
local server = string.match(info, 'run_id:(%x+)')
local up_ms = 1000 * tonumber(string.match(info, 'uptime_in_seconds:(%d+)'))

-- Our own first try got here, and only its answer was lost; or it got here late. The run may even
-- have ended since then.
if redis.call('EXISTS', KEYS[4]) == 1 then
  return { 'admitted', server }
end

local holder = redis.call('GET', KEYS[1])
if holder then
  local other = string.match(holder, '^[^:]+')
  redis.call('HINCRBY', KEYS[3], 'refused', 1)
  return { 'refused', other }
end

-- A Redis that restarted may have forgotten a live run. Give it one lease to come back.
-- (One second more: its uptime, in whole seconds, may read one too many.)
local grace_ms = lease_ms + 1000 - up_ms
if seen ~= '' and server ~= seen and grace_ms > 0 then
  return { 'grace', grace_ms }
end

-- Nobody holds the lease: a run that still looks alive has lost it. Write that down.
local last = redis.call('LINDEX', KEYS[2], 0)
if last then
  local record = 'nb:run:' .. last
  local status = redis.call('HGET', record, 'status')
  if status == 'QUEUED' or status == 'RUNNING' then
    redis.call('HSET', record, 'status', 'LOST', 'error', ARGV[status == 'QUEUED' and 5 or 6])
    redis.call('HINCRBY', KEYS[3], 'LOST', 1)
  end
end

redis.call('SET', KEYS[1], run .. ':admitted', 'PX', lease_ms)
redis.call('HSET', KEYS[4], unpack(ARGV, 7))
redis.call('LPUSH', KEYS[2], run)
for _, old in ipairs(redis.call('LRANGE', KEYS[2], keep, -1)) do
  redis.call('DEL', 'nb:run:' .. old)
end
redis.call('LTRIM', KEYS[2], 0, keep - 1)
return { 'admitted', server }
