-- What all scripts begin with: the lease, and how to notice that Redis forgot it.
-- KEYS: lease, marker, grace, index of runs, totals, measures, the record of a run (or what all
-- records' names begin with).
--
-- The marker is a hash that never expires. `number` grows with each admission, claim, renewal and
-- end. Each process remembers the largest number that it has seen. A Redis that holds a smaller one
-- is empty, or an older copy. A record keeps the number of its admission as `admitted_as`: of two
-- runs, the one with the larger is the newer. `ends` is when the lease is to expire, by Redis's own clock. A lease
-- that is gone sooner was evicted.
local LEASE, MARKER, GRACE, INDEX, TOTALS, MEASURES, RECORD = unpack(KEYS)

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function field(key, name)
  return tonumber(redis.call('HGET', key, name) or 0)
end

-- The next number: larger than the one in Redis, and than all that the caller has seen.
local function grow(seen)
  local number = math.max(field(MARKER, 'number'), tonumber(seen)) + 1
  redis.call('HSET', MARKER, 'number', number)
  return number
end

local function take(holder, ms)
  redis.call('SET', LEASE, holder, 'PX', ms)
  redis.call('HSET', MARKER, 'ends', now() + ms)
end

local function let_go()
  redis.call('DEL', LEASE)
  redis.call('HSET', MARKER, 'ends', 0)
end

-- Delete all runs but the newest `keep`.
local function trim(records, keep)
  for _, old in ipairs(redis.call('LRANGE', INDEX, keep, -1)) do
    redis.call('DEL', records .. old)
  end
  redis.call('LTRIM', INDEX, 0, keep - 1)
end

-- Notice whether Redis forgot something. The run that it may have forgotten gets one lease to come
-- back, and starts have to wait until then. The first process that notices sets GRACE for all.
-- Answers how many ms of GRACE are left; 0 or less: starts need not wait.
local function left_to_wait(seen, lease_ms)
  local left = field(MARKER, 'ends') - now()
  local wait = 0
  if field(MARKER, 'number') < tonumber(seen) then
    wait = lease_ms
  elseif left > 0 and redis.call('EXISTS', LEASE) == 0 then
    wait = math.min(left, lease_ms)
  end
  if wait > 0 then
    redis.call('SET', GRACE, 1, 'PX', wait, 'NX')
    redis.call('HSET', MARKER, 'ends', 0)
    grow(seen)
  end
  return redis.call('PTTL', GRACE)
end

-- The newest run, if its record says that it is alive, is lost. Write that down, once and for all. (It
-- gets no `finished_at`: nobody knows when it ended.) The caller has seen that there is no lease.
-- `heard`: a key that is there while any worker is. `queue`: the list of messages.
local function settle(records, heard, queue)
  local last = redis.call('LINDEX', INDEX, 0)
  local status = last and redis.call('HGET', records .. last, 'status')
  local reason = 'worker_lost'
  if status == 'QUEUED' then
    if redis.call('EXISTS', heard) == 0 then
      reason = 'no_worker'
    else
      reason = redis.call('LLEN', queue) > 0 and 'not_taken' or 'not_claimed'
    end
  elseif status ~= 'RUNNING' then
    return
  end
  redis.call('HSET', records .. last, 'status', 'LOST', 'reason', reason)
  redis.call('HINCRBY', TOTALS, 'LOST', 1)
end
