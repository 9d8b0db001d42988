-- What a failover has lost of a journal, written again by the node that still has it whole: under the same ids, so that the same
-- bytes stand at the same offsets. Whoever went on meanwhile is not disturbed.

-- node K term nonce bh fields inputs accounts st at out, then so many (field value), (name input), (term account), and then
-- (id events)...: the holder of the term writes again what a failover has lost. What is there is left alone. st, at, out: it
-- had ended so, with the last entry; else ''. An end that was shown is written though the lease has been given back since.
F('restore', function(T, a)
  local node, K, term, nonce, bh, pairs = unpack(a, 1, 6)
  local ends = a[9] ~= ''
  local inputs = 12 + 2 * tonumber(pairs)
  local accounts = inputs + 2 * tonumber(a[7])
  local first = accounts + 2 * tonumber(a[8])
  local st, has, its, lease, holder, hash, tail = J.get(K, 'st', 'term', 'nonce', 'lease', 'node', 'bh', 'tail')
  local fields, leased = {unpack(a, 12, inputs - 1)}, false
  for at = 1, #fields, 2 do
    if fields[at] == 'n' and J.gone(K, fields[at + 1]) then
      return {'ERASED'}
    end
  end
  if st then
    if J.ended(st) then
      return {'SEALED', st}
    end
    if hash ~= bh or tonumber(has) > tonumber(term) or (has == term and (its ~= nonce or (lease ~= '1' and not ends))) then
      return {'FENCED', has, its}
    end
    if ends and tonumber(tail) >= tonumber(string.match(a[#a - 1], '%-(%d+)$')) then
      return {'FENCED', has, its}  -- it has gone on without that end
    end
    if has ~= term and lease == '1' and holder ~= node and N.alive(T, holder) then
      return {'FENCED', has, its}
    end
    local mine, old = {}, redis.call('HGETALL', K .. ':h')
    for at = 1, #fields, 2 do
      mine[fields[at]] = fields[at + 1]
    end
    local same = true
    for at = 1, #old, 2 do
      if string.match(old[at], '^c%d+$') and mine[old[at]] ~= old[at + 1] then
        same = false
      end
    end
    if same then
      leased = lease == '1'
      if leased and holder ~= node then
        Q.unleased(T, K)
        leased = false
      end
    else
      J.remove(T, K)  -- it was opened anew, and nobody runs it: what was answered already stands
      st, tail = false, '0'
    end
  end
  tail = tonumber(tail or '0')
  if st and not leased then
    Q.withdraw(T, K)
  end
  for at = inputs, first - 2, 2 do
    redis.call('HSETNX', K .. (at < accounts and ':i' or ':a'), a[at], a[at + 1])
  end
  for at = first, ends and #a - 2 or #a, 2 do
    if tonumber(string.match(a[at], '%-(%d+)$')) > tail then
      redis.call('XADD', K .. ':e', a[at], 'e', a[at + 1])
      tail = tonumber(string.match(a[at], '%-(%d+)$'))
    end
  end
  local ver = tonumber(redis.call('HGET', K .. ':h', 'ver') or '0')
  for at = 1, #fields, 2 do
    if fields[at] == 'ver' then
      fields[at + 1] = J.int(math.max(ver, tonumber(fields[at + 1])))
    end
    redis.call('HSET', K .. ':h', fields[at], fields[at + 1])
  end
  redis.call('HSET', K .. ':h', 'tail', J.int(tail), 'lease', '1', 'node', node, 'rel', '0', 'park', '0',
    'inb', redis.call('HLEN', K .. ':i'))
  for _, name in ipairs({'packed', 'deaths', 'sdeaths', 'alone'}) do
    redis.call('HSETNX', K .. ':h', name, '0')
  end
  local last = tonumber(redis.call('GET', T .. ':last') or '0')
  local n = redis.call('HGET', K .. ':h', 'n')
  if last < tonumber(n) then
    redis.call('SET', T .. ':last', n)
  end
  J.index(T, K)
  if not leased then
    Q.leased(T, K, node)
  end
  local new
  if ends then
    new = J.seal(T, K, node, a[#a - 1], a[#a], J.int(tail), string.match(a[#a - 1], '%-(%d+)$'),
      {'st', a[9], 'at', a[10], 'out', a[11]})
  else
    new = J.changed(T, K, node)
  end
  return {'OK', new}
end)
