import { Topic } from 'vecino';

export interface Sample {
  name: string;
  pid: number;
  at: number;
  memory: number;
  load: number;
}
export const open = () => Topic.open<Sample>('example-telemetry');
