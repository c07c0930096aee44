import { Injectable } from '@nestjs/common';
import { InjectSecret, type Secret } from 'nestjs-vault';

@Injectable()
export class PaymentsService {
  constructor(@InjectSecret('payments', { key: 'apiKey' }) private readonly apiKey: Secret) {}

  /** The header of a request to the payment provider. */
  authorization(): string {
    return `Bearer ${this.apiKey.reveal()}`;
  }
}
