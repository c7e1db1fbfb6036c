// A plain EventSource, whose connection breaks off after the first event: it goes on by itself with
// the next one. Prints JSON.
import { EventSource } from 'eventsource';

const [url, task] = process.argv.slice(2);
const seen = [];
let cut = false;
const alive = setInterval(() => {}, 1000); // its wait before it connects again keeps no process

async function broken(address, init) {
  const answer = await fetch(address, init);
  if (cut) return answer;
  cut = true;
  const body = answer.body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(chunk);
        controller.terminate();
      },
    }),
  );
  return new Response(body, { status: answer.status, headers: answer.headers });
}

const source = new EventSource(`${url}/tasks/${task}/events`, { fetch: broken });
for (const kind of ['task', 'observed', 'decided', 'step', 'end']) {
  source.addEventListener(kind, (event) => {
    seen.push({ id: Number(event.lastEventId), kind });
    if (kind !== 'end') return;
    source.close();
    clearInterval(alive);
    console.log(JSON.stringify({ seen, last: JSON.parse(event.data).status }));
  });
}
