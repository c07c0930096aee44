import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { Injectable } from '@nestjs/common';

/** An ordinary service with a client of the SDK: nothing in it depends on the change of keys. */
@Injectable()
export class IdentityService {
  constructor(private readonly sts: STSClient) {}

  /** The identity whose keys signed the request. */
  async user(): Promise<string> {
    const { Arn } = await this.sts.send(new GetCallerIdentityCommand({}));
    return Arn ?? 'nobody';
  }
}
