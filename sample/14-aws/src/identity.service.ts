import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { Injectable } from '@nestjs/common';

/** An ordinary service over a client of the SDK: nothing in it knows that its keys change. */
@Injectable()
export class IdentityService {
  constructor(private readonly sts: STSClient) {}

  /** Whose keys the request was signed with. */
  async user(): Promise<string> {
    const { Arn } = await this.sts.send(new GetCallerIdentityCommand({}));
    return Arn ?? 'nobody';
  }
}
