-- Refuse starts, many in one trip. ARGV: how many wait for the answer.
-- Answers the run that blocks them, or nil: then each of them has to try for admission.
local holder = redis.call('GET', LEASE)
if not holder then
  return false
end
redis.call('HINCRBY', TOTALS, 'refused', ARGV[1])
return string.match(holder, '^[^:]+')
