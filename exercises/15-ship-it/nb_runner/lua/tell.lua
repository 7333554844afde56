-- Tell of a run that has ended: the first who asks does it.
-- ARGV: who asks. Answers 1 when it is to tell, also when only the answer to its first try was lost.
if redis.call('EXISTS', RECORD) == 0 then
  return 0
end
redis.call('HSETNX', RECORD, 'told', ARGV[1])
return redis.call('HGET', RECORD, 'told') == ARGV[1] and 1 or 0
