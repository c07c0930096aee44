/** Begins work that waits for `finish()`. */
export async function held(
  work: (wait: () => Promise<void>) => Promise<unknown>,
): Promise<{ finish(): Promise<unknown> }> {
  let begun = () => {};
  let release = () => {};
  const waiting = new Promise<void>((resolve) => (begun = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  const done = work(async () => {
    begun();
    await released;
  });
  // It may fail before anybody waits for it.
  done.catch(() => undefined);
  await Promise.race([waiting, done]);
  return {
    finish: () => {
      release();
      return done;
    },
  };
}
