import { fork } from 'node:child_process';
import { once } from 'node:events';

/** A process of its own, which answers each message. An answer rejects if the process ends instead. */
export class Child {
  #process;
  #ended;

  constructor(program, options) {
    this.#process = fork(program, [JSON.stringify(options)]);
    this.#ended = once(this.#process, 'exit').then(([code]) => {
      throw new Error(`a process ended with ${code}`);
    });
    this.#ended.catch(() => undefined);
  }

  /** Its next message. */
  answer() {
    return Promise.race([once(this.#process, 'message').then(([answer]) => answer), this.#ended]);
  }

  ask(message) {
    this.#process.send(message);
    return this.answer();
  }

  /** As an orchestrator ends it. */
  async end() {
    this.#process.kill();
    await this.#ended.catch(() => undefined);
  }
}
