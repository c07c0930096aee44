/** An error answer, with the texts of the server. */
export class Refusal extends Error {
  readonly errors: readonly string[];

  constructor(
    readonly status: number,
    ...errors: string[]
  ) {
    super(errors.join('; '));
    this.errors = errors;
  }
}

/** The simulation does not support the path; a real server may. */
export class Unknown extends Refusal {}

/** An error answer without a body. */
export class WithoutBody extends Refusal {}

/** A redirect to another path or server. */
export class Redirect extends Refusal {
  constructor(readonly location: string) {
    super(307);
  }
}

/** A 404 with advice in its warnings. */
export class WrongKvPath extends Refusal {
  constructor(readonly warnings: string[]) {
    super(404, ...warnings);
  }
}

/** Formats collected errors as the server does. */
export const collected = (...errors: string[]) =>
  `${errors.length} error${errors.length === 1 ? '' : 's'} occurred:\n${errors.map((e) => `\t* ${e}\n`).join('')}\n`;

export const notFound = () => new Refusal(404);
