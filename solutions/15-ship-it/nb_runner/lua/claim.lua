-- Claim: turn the lease from "admitted" to "mine" by compare-and-set. A message that comes twice,
-- too late, or after a cancel finds another value here and claims nothing.
-- ARGV: admitted lease, my lease, lease in ms, then fields to set. Answers the record, or nil.
local holder = redis.call('GET', LEASE)
if holder ~= ARGV[1] and holder ~= ARGV[2] then -- ours: only the answer to our first try was lost
  return false
end
take(ARGV[2], ARGV[3])
grow(0)
redis.call('HSET', RECORD, unpack(ARGV, 4))
return redis.call('HGETALL', RECORD)
