-- Claim: turn the lease from "admitted" to "mine" by compare-and-set. A message that comes twice,
-- too late, or after a cancel finds another value here and claims nothing.
-- ARGV: admitted lease, my lease, lease in ms, run id, runs to keep, then fields to set.
-- Answers the record, or nil.
local run, keep = ARGV[4], tonumber(ARGV[5])
local records = string.sub(RECORD, 1, -#run - 1) -- what all records' names begin with
local holder = redis.call('GET', LEASE)
if holder ~= ARGV[1] and holder ~= ARGV[2] then -- ours: only the answer to our first try was lost
  return false
end
take(ARGV[2], ARGV[3])
grow(0)
redis.call('HSET', RECORD, unpack(ARGV, 6))
trim(records, keep) -- nobody takes the start back any more
return redis.call('HGETALL', RECORD)
