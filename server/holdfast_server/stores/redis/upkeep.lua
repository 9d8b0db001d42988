-- Lists of journals, what the history has of them, and their going away.

-- O ('' for everybody's of this shard) list below limit chat: rows by falling number; `list` is all, open or c:<chat>.
-- Of an owner's open ones, which are few, those of another chat are left out.
F('rows', function(T, a)
  local O, list, below, limit, chat = unpack(a)
  limit = tonumber(limit)
  local names = redis.call('ZREVRANGEBYSCORE', (O == '' and T or O) .. ':' .. list, below, '-inf',
    'LIMIT', 0, chat == '' and limit or -1)
  local out = {}
  for at = 1, #names do
    local K = O == '' and names[at] or J.key(T, O, names[at])
    if chat == '' or redis.call('HGET', K .. ':h', 'chat') == chat then
      out[#out + 1] = {K, P.row(K)}
      if #out == limit then
        break
      end
    end
  end
  return out
end, {'no-writes'})

-- node K...
F('projected', function(T, a)
  local out = {}
  for at = 2, #a do
    local K = a[at]
    local proj, st, ended = J.get(K, 'proj', 'st', 'at')
    if proj == '0' then
      redis.call('HSET', K .. ':h', 'proj', '1')
      local ver, row = J.changed(T, K, a[1])
      if J.ended(st) then
        redis.call('ZREM', T .. ':unproj', K)
        redis.call('ZADD', T .. ':ended', ended, K)
        redis.call('ZREM', J.owner(K) .. ':dirty', J.request(K))
      end
      out[#out + 1] = {K, row}
    end
  end
  return out
end, {'allow-oom'})

-- list limit: the oldest of this shard's sealed (not packed yet) or unproj (not in the history yet)
F('oldest', function(T, a)
  return redis.call('ZRANGE', T .. ':' .. a[1], 0, a[2] - 1, 'WITHSCORES')
end, {'no-writes'})

-- O
F('dirty', function(T, a)
  return redis.call('ZRANGE', a[1] .. ':dirty', 0, -1, 'WITHSCORES')
end, {'no-writes'})

-- (K ver)...
F('clean', function(T, a)
  for at = 1, #a, 2 do
    local list, request = J.owner(a[at]) .. ':dirty', J.request(a[at])
    local ver = redis.call('ZSCORE', list, request)
    if ver and tonumber(ver) <= tonumber(a[at + 1]) then
      redis.call('ZREM', list, request)
    end
  end
  return 'OK'
end, {'allow-oom'})

-- node K at blob out: seal what is not, leave nothing, and a mark for a day that nobody writes it again (see J.gone)
F('erase', function(T, a)
  local node, K, at, blob, out = unpack(a)
  redis.call('SET', K .. ':x', J.number(T), 'EX', TOMB_S)
  local st, term, tail = J.get(K, 'st', 'term', 'tail')
  if not st then
    return {'GONE'}
  end
  if not J.ended(st) then
    local end_ = J.int(tail + 1)
    J.seal(T, K, node, term .. '-' .. end_, blob, tail, end_, {'st', 'cancelled', 'at', at, 'out', out})
  end
  local row = P.row(K)
  tail = redis.call('HGET', K .. ':h', 'tail')
  P.tell(T, K, node, 'x', tail, tail, '', row)
  P.all('x ' .. node .. ' ' .. K)
  J.remove(T, K)
  return {'OK', row}
end, {'allow-oom'})

-- K tail data sha text_sha: its events, written smaller
F('pack', function(T, a)
  local K, tail, data, sha, text_sha = unpack(a)
  local st, is, packed = J.get(K, 'st', 'tail', 'packed')
  if not st or not J.ended(st) or is ~= tail or packed ~= '0' then
    if not st or packed ~= '0' then
      redis.call('ZREM', T .. ':sealed', K)
    end
    return 0
  end
  redis.call('HSET', K .. ':b', 'data', data, 'sha', sha, 'text_sha', text_sha)
  redis.call('HSET', K .. ':h', 'packed', #data)
  redis.call('DEL', K .. ':e')
  redis.call('ZREM', T .. ':sealed', K)
  redis.call('ZADD', T .. ':size', #data, K)
  redis.call('INCRBY', T .. ':bytes', #data)
  return 1
end, {'allow-oom'})

F('bytes', function(T, a)
  return tonumber(redis.call('GET', T .. ':bytes') or '0')
end, {'no-writes'})

-- before limit: (K, ended, bytes)... of those that may go, oldest first
F('purgeable', function(T, a)
  local found, out = redis.call('ZRANGEBYSCORE', T .. ':ended', '-inf', a[1], 'WITHSCORES', 'LIMIT', 0, a[2]), {}
  for at = 1, #found, 2 do
    out[#out + 1] = {found[at], found[at + 1], redis.call('ZSCORE', T .. ':size', found[at]) or '0'}
  end
  return out
end, {'no-writes'})

-- node K...: those that still may go are gone; how many
F('purge', function(T, a)
  local out = {}
  for at = 2, #a do
    local K = a[at]
    if redis.call('ZSCORE', T .. ':ended', K) then
      local row = P.row(K)
      local tail = redis.call('HGET', K .. ':h', 'tail')
      P.tell(T, K, a[1], 'p', tail, tail, '', row)
      J.remove(T, K)
      out[#out + 1] = K
    end
  end
  return out
end, {'allow-oom'})

F('count', function(T, a)
  return redis.call('ZCARD', T .. ':open')
end, {'no-writes'})

-- key token ms: have the turn, unless it is another's
F('turn', function(T, a)
  local has = redis.call('GET', a[1])
  if has and has ~= a[2] then
    return 0
  end
  redis.call('SET', a[1], a[2], 'PX', a[3])
  return 1
end, {'allow-oom'})

-- key token
F('turned', function(T, a)
  if redis.call('GET', a[1]) == a[2] then
    redis.call('DEL', a[1])
  end
  return 'OK'
end, {'allow-oom'})
