-- What other nodes are told of a change: those who follow the journal, the one that holds it, those who watch its owner.
--
-- A message is `<kind> <K> <start> <end> <length>...\n` and then so many pieces: the events (empty: not sent, or none), and
-- the fields and values of the row. Kinds: e (events), s (the row, and events if end > start), i (as s; the last piece is the
-- new input), x (erased or purged: the row is what it last was). A message may be lost; who gets none looks each second.
local MESSAGE_BYTES_MAX = 32768

-- The hash without the body of the request, which never changes and may be long.
function P.row(K)
  local all, out = redis.call('HGETALL', K .. ':h'), {}
  for at = 1, #all, 2 do
    if all[at] ~= 'rec' then
      out[#out + 1] = all[at]
      out[#out + 1] = all[at + 1]
    end
  end
  return out
end

local function message(kind, K, start, end_, blob, row, item)
  local pieces = {#blob <= MESSAGE_BYTES_MAX and blob or ''}
  for at = 1, #row do
    pieces[#pieces + 1] = row[at]
  end
  if item then
    pieces[#pieces + 1] = item
  end
  local lengths = {}
  for at = 1, #pieces do
    lengths[at] = #pieces[at]
  end
  local head = table.concat({kind, K, start, end_, table.concat(lengths, ' ')}, ' ')
  return head .. '\n' .. table.concat(pieces)
end

-- Tell everybody whom it concerns but the caller; those who watch the owner only if the row is what is told.
local function tell(K, caller, kind, start, end_, blob, row, item)
  local now = J.now()
  local nodes = {}
  local following = redis.call('ZRANGEBYSCORE', K .. ':f', now, '+inf')
  for at = 1, #following do
    nodes[following[at]] = true
  end
  if kind ~= 'e' then
    local watching = redis.call('ZRANGEBYSCORE', J.owner(K) .. ':w', now, '+inf')
    for at = 1, #watching do
      nodes[watching[at]] = true
    end
  end
  local holder = redis.call('HGET', K .. ':h', 'node')
  if holder and holder ~= '' then
    nodes[holder] = true
  end
  nodes[caller] = nil
  local text
  for node in pairs(nodes) do
    text = text or message(kind, K, start, end_, blob or '', row, item)
    redis.call('PUBLISH', 'hf:n:' .. node, text)
  end
end

function P.tell(T, K, caller, kind, start, end_, blob, row, item)
  tell(K, caller, kind, start, end_, blob, row, item)
end

-- Events that leave the row as it is: `row` has only the version, and the term and nonce under which they were written.
function P.events(T, K, caller, start, end_, blob, row)
  tell(K, caller, 'e', start, end_, blob, row)
end

-- A small message to every node.
function P.all(text)
  redis.call('PUBLISH', 'hf:all', text)
end

-- The row changed: it gets the next version, and everybody whom it concerns gets the row.
function J.changed(T, K, caller, kind, start, end_, blob, item)
  local ver = redis.call('HINCRBY', K .. ':h', 'ver', 1)
  local row = P.row(K)
  local tail = redis.call('HGET', K .. ':h', 'tail')
  P.tell(T, K, caller or '', kind or 's', start or tail, end_ or tail, blob, row, item)
  return ver, row
end
