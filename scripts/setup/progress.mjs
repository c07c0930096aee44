// Shows that a long step is alive. Runs in a fresh clone, so it uses Node built-ins only.

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;
/** Where there is no terminal, each running step is a line after this time, again and again. */
const LINE_MS = 10_000;
/** A step that takes no longer leaves no line behind. */
const SHORT_MS = 1_000;

/** The running steps, with the time of their start. */
const steps = new Map();
let timer;
let frame = 0;
let lastLines = 0;

const stream = process.stderr;
const live = () => stream.isTTY === true && stream.hasColors();

/**
 * Shows a step on standard error until `work` has settled: in a terminal with its seconds, otherwise by a line at its start
 * and each ten seconds. Several steps may run at once.
 *
 * @template T
 * @param {string} title as `Building the library`
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withProgress(title, work) {
  const step = { title, startedAt: Date.now() };
  steps.set(step, step);
  if (!live()) stream.write(`${title} ...\n`);
  if (!timer) {
    lastLines = Date.now();
    timer = setInterval(tick, FRAME_MS);
  }
  tick();
  try {
    return await work;
  } finally {
    steps.delete(step);
    if (live()) {
      const took = Date.now() - step.startedAt;
      stream.write(`\r\u001B[K${took < SHORT_MS ? '' : `${title}: ${seconds(took)}\n`}`);
    }
    if (steps.size === 0) {
      clearInterval(timer);
      timer = undefined;
    } else tick();
  }
}

const seconds = (milliseconds) => `${Math.round(milliseconds / 1_000)} s`;

function tick() {
  if (steps.size === 0) return;
  const now = Date.now();
  if (live()) {
    const width = Math.max(1, (stream.columns || 80) - 1);
    const sign = FRAMES[frame++ % FRAMES.length];
    const whole = `${sign} ${running(now)}`;
    const text = whole.length <= width ? whole : `${sign} ${running(now, withoutDetails)}`;
    stream.write(`\r\u001B[K${text.slice(0, width)}`);
  } else if (now - lastLines >= LINE_MS) {
    lastLines = now;
    stream.write(`Still: ${running(now)}\n`);
  }
}

/** All running steps, each with its seconds. */
const running = (now, shown = (title) => title) =>
  [...steps.values()]
    .map(({ title, startedAt }) => `${shown(title)} (${seconds(now - startedAt)})`)
    .join(', ');

const withoutDetails = (title) => title.replace(/ \(.*\)$/, '');
