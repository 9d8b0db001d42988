-- What the other files share: four tables, how a function is registered, and the names of keys.
--
-- The loader joins the files (head, publish, queue, nodes, fleet, journal, restore, inputs, upkeep) and puts two lines before them:
--   #!lua name=holdfast_<v>
--   local PREFIX = 'hf<v>_'
-- Every function (but room) gets the tag T = '{h<N>}' as its only key; every other key is made from it, so a call stays in its slot.
-- A function reads first, checks, and then writes: what is refused has written nothing.
--
-- Which file offers what to the others (K: the prefix of a journal's keys, caller: the node whose call it is, not told):
--   head     F(name, fn, flags)        register fn(T, args); flags: 'no-writes', 'allow-oom'
--            J.owner(K) -> O           the prefix of its owner's keys
--            J.request(K) -> quoted request id;  J.key(T, O, quoted_request_id) -> K
--            J.get(K, field...)        HMGET of the hash h, as several results (false: absent)
--            J.ended(st) -> boolean    whether a status is an outcome
--            J.now() -> ms             Redis TIME
--            J.changed(T, K, caller)   ver + 1, updated, and the whole row published; after every HSET that changes the row
--   publish  P.row(K) -> flat list     the hash without `rec`
--            P.tell(T, K, caller, kind, start, end_, blob, row)  a message to followers, holder and the owner's watchers
--            P.all(text)               a small message to all nodes (hf:all)
--   queue    Q.offer(T, K)             it may be claimable now or later; after the hash says so
--            Q.withdraw(T, K)          sealed, parked or erased: out of every queue; before its keys go
--            Q.leased(T, K, node)      after lease=1 and node are set
--            Q.unleased(T, K)          BEFORE lease is set to 0; `node` stays what it was (it is told of what comes next)
--            Q.sealed(T, K)            after it was sealed, or as it is erased: who waits `after` it
--   nodes    N.alive(T, node) -> boolean   whether the node's lease in this shard has not ended
--   journal  J.seal(T, K, caller, id, blob, base, end_, pairs)   append events that end with the outcome, set the fields in
--                                      `pairs` (st, at, out, ... as the writer's node gives them), give the lease back, tell
--            J.index(T, K), J.unindex(T, K)   put it into the lists, take it out of every list
--            J.gone(K, n) -> boolean   whether what was opened under that number was erased lately
--            J.number(T) -> text       the next number of this shard
local J, Q, N, P = {}, {}, {}, {}

-- Files that are missing leave these as they are.
Q.offer = function() end
Q.withdraw = function() end
Q.leased = function() end
Q.unleased = function() end
Q.sealed = function() end
N.alive = function() return false end

local function F(name, fn, flags)
  redis.register_function{
    function_name = PREFIX .. name,
    callback = function(keys, args) return fn(keys[1], args) end,
    flags = flags or {},
  }
end

local LIVE = {new = true, queued = true, running = true, waiting = true}

function J.ended(st)
  return not LIVE[st]
end

function J.owner(K)
  local T, tenant, user = string.match(K, '^({h%d+}):j:([^/]*)/([^/]*)/')
  return T .. ':o:' .. tenant .. '/' .. user
end

function J.request(K)
  return string.match(K, '/([^/]*)$')
end

function J.key(T, O, request)
  return T .. ':j:' .. string.sub(O, #T + 4) .. '/' .. request
end

function J.get(K, ...)
  return unpack(redis.call('HMGET', K .. ':h', ...))
end

function J.now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A number as text: Lua would write large ones with an exponent.
function J.int(number)
  return string.format('%.0f', number)
end
