/** What is known of damaged files. */
export interface DamagedFiles {
  /** The first of these files that is known to be damaged. */
  damaged(files: readonly string[]): { readonly file: string; readonly damage: string } | null;
  /** Forgets the files for which `isThere` returns false. Repeatable. */
  forgetOthers(isThere: (file: string) => boolean): Promise<void>;
}
