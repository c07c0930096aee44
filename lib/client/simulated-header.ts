/** Header in each answer of a simulated server on a port. Real servers do not send it. */
export const SIMULATED_HEADER = 'x-nestjs-vault-simulated';
