-- A chat room as readers get it, eight elements: info, seq, updated, mark, unread, then its newest kept message:
-- seq (0 = none is kept), at, body.
local function describe(answer, state, messages)
  local newest = redis.call('XREVRANGE', messages, '+', '-', 'COUNT', 1)[1]
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = state.info, state.seq, state.updated
  answer[at + 4], answer[at + 5] = state.mark, state.customer - state.seen
  answer[at + 6] = newest and tonumber(string.match(newest[1], '^%d+')) or 0
  answer[at + 7], answer[at + 8] = newest and tonumber(newest[2][2]) or 0, newest and newest[2][4] or ''
  return answer
end
