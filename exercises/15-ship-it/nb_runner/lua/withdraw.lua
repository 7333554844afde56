-- Undo an admission that could not be queued. A run that a worker has claimed stays: its message
-- did get through. ARGV: run id. Answers 1 when the run stays.
if redis.call('GET', LEASE) == ARGV[1] .. ':admitted' then
  let_go()
  redis.call('DEL', RECORD)
  redis.call('LREM', INDEX, 1, ARGV[1])
end
return redis.call('EXISTS', RECORD)
