-- Nothing but what every operation begins with: compare the position, and close the shard if it is behind.
--
-- Answer  {position, "OK"}

return {position, 'OK'}
