/** Does the work so many times, and at most `width` at a time. */
export async function concurrently(count, width, work) {
  let left = count;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (left-- > 0) await work();
    }),
  );
}
