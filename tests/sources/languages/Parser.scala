package shop.parse

import scala.util.Try

/** A value, or why there is none. */
sealed trait Result[+A] {
  def map[B](f: A => B): Result[B] = this match {
    case Good(value) => Good(f(value))
    case bad: Bad    => bad
  }
  def isGood: Boolean
}

final case class Good[A](value: A) extends Result[A] {
  override def isGood = true
}

case class Bad(message: String) extends Result[Nothing] {
  def isGood: Boolean = false
}

object Parser {
  type Tokens = List[String]

  val empty: Tokens = Nil

  /** Splits a line. */
  @inline def tokens(line: String): Tokens = {
    def clean(text: String) = text.trim
    line.split(",").map(clean).toList
  }

  implicit class Rich(val line: String) extends AnyVal {
    def parsed: Tokens = tokens(line)
  }
}
