export const roleOf = (number) => `service-${String(number).padStart(5, '0')}`;

/** Where the lease of a number is issued. Each text is made once, as an application has it. */
export function pathsOf(count) {
  return Array.from({ length: count }, (_, number) => ['database', 'creds', roleOf(number)].join('/'));
}
