export const roleOf = (number) => `service-${String(number).padStart(5, '0')}`;

/** The paths of so many leases. Each string is made once, as in an application. */
export function pathsOf(count) {
  return Array.from({ length: count }, (_, number) => ['database', 'creds', roleOf(number)].join('/'));
}
