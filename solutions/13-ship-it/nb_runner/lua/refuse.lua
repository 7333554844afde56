-- Refuse starts, many in one trip. KEYS: lease, totals. ARGV: how many wait for the answer.
-- Answers the run in the way, or nil: then each of them has to try for admission.
local holder = redis.call('GET', KEYS[1])
if not holder then
  return false
end
redis.call('HINCRBY', KEYS[2], 'refused', ARGV[1])
return string.match(holder, '^[^:]+')
