// The SDK in the scripted room of `livecast conform`: node conform.mjs [http://127.0.0.1:8091]
// Any client needs the same: do what events of type `x.conform` say, and post what is on the screen when asked to.
import { LivecastClient } from '@livecast/client';

const url = process.argv[2] ?? 'http://127.0.0.1:8091';
const live = new LivecastClient({ url, room: 'conform', getToken: async () => 'conform' });
const combos = new Map();

live.on('welcome', ({ recovered }) => recovered || combos.clear());
live.on('frame', ({ gifts = [], events = [] }) => {
  for (const { combo, n, done } of gifts) if (!combos.get(combo)?.done) combos.set(combo, { combo, n, done });
  for (const { type, data } of events) if (type === 'x.conform') act(data).catch(() => {}); // the walk ended meanwhile
});
live.on('connection', ({ state }) => state === 'closed' && process.exit(0));
live.connect();

async function act({ do: what, step, url: report, text, gift, n }) {
  if (what === 'comment') return live.comment(text);
  if (what === 'gift') return live.gift(gift, n);
  const { epoch, seq, state, recent } = live.view;
  const shown = { step, epoch, seq, likes: state.likes, title: state.title, notice: state.notice?.text ?? '', custom: state.custom };
  shown.comments = recent.map(({ id, text, n = 1 }) => ({ id, text, n }));
  shown.gifts = [...combos.values()];
  return fetch(report, { method: 'POST', body: JSON.stringify(shown) });
}
