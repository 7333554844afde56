-- Undo an admission that could not be queued. A run that a worker has claimed stays: its message
-- did get through. KEYS: lease, index of runs, record. ARGV: run id. Answers 1 when the run stays.
if redis.call('GET', KEYS[1]) == ARGV[1] .. ':admitted' then
  redis.call('DEL', KEYS[1], KEYS[3])
  redis.call('LREM', KEYS[2], 1, ARGV[1])
end
return redis.call('EXISTS', KEYS[3])
