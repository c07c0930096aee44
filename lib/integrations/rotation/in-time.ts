/** Milliseconds that a login may take: what accepts a connection need not ever answer. */
export const LOGIN_TIMEOUT = 10_000;

/** Waits for a login, no longer than {@link LOGIN_TIMEOUT}. */
export async function inTime<T>(login: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_resolve, reject) => {
    const error = new Error('There was no answer to the login in time.');
    timer = setTimeout(() => reject(Object.assign(error, { code: 'ETIMEDOUT' })), LOGIN_TIMEOUT);
  });
  return Promise.race([login, end]).finally(() => clearTimeout(timer));
}
