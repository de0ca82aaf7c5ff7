/** Something has another problem, or (null) none any more. */
export interface ProblemChange {
  readonly of: 'forward' | 'network' | 'tap';
  /** Name of the port forward, the network or the tap. */
  readonly name: string;
  readonly problem: string | null;
}
