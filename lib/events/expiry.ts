/** The last date there is, in milliseconds since 1970: the end of a token or lease without expiry. */
export const LAST_DATE = 8.64e15;

/** Whether something ends at all. */
export function ends(at: Date | undefined): at is Date {
  return at !== undefined && at.getTime() < LAST_DATE;
}
