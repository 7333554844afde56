-- Claim: turn the lease from "admitted" to "mine" by compare-and-set. A message that comes twice,
-- too late, or after a cancel finds another value here and claims nothing.
-- KEYS: lease, record. ARGV: admitted lease, my lease, lease in ms, then fields to set.
-- Answers the record, or nil.
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] and holder ~= ARGV[2] then -- ours: only the answer to our first try was lost
  return false
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
return redis.call('HGETALL', KEYS[2])
