# frozen_string_literal: true

require "json"

module Shop
  # Keeps what customers owe.
  class Ledger < Base
    include Enumerable
    attr_reader :entries

    RATE = 0.19

    def initialize(entries = [])
      @entries = entries
    end

    # The sum of all entries, with tax.
    def total(rate: RATE)
      entries.sum { |entry| entry.amount * (1 + rate) }
    end

    def each(&block)
      entries.each(&block)
    end

    def self.load(path)
      new(JSON.parse(File.read(path)))
    end

    class << self
      def empty
        new
      end
    end

    def empty?
      entries.empty?
    end

    def <=>(other)
      total <=> other.total
    end

    private

    define_method(:secret) { 42 }
  end

  Entry = Struct.new(:amount, :date) do
    def paid?
      amount.zero?
    end
  end
end

def main
  puts Shop::Ledger.load(ARGV.first).total
end
