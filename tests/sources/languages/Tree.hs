{-# LANGUAGE LambdaCase #-}
-- | Search trees.
module Data.Tree (Tree (..), insert, size) where

import qualified Data.List as L

-- | A tree, or nothing.
data Tree a
  = Leaf
  | Node (Tree a) a (Tree a)
  deriving (Show, Eq)

newtype Depth = Depth { unDepth :: Int }

type Forest a = [Tree a]

class Container f where
  empty :: f a
  insertInto :: a -> f a -> f a

instance Functor Tree where
  fmap _ Leaf = Leaf
  fmap f (Node l x r) = Node (fmap f l) (f x) (fmap f r)

-- | Put a value where it belongs.
insert :: Ord a => a -> Tree a -> Tree a
insert x Leaf = Node Leaf x Leaf
insert x t@(Node l y r)
  | x < y = Node (insert x l) y r
  | otherwise = Node l y (insert x r)

size :: Tree a -> Int
size = go 0
  where
    go n Leaf = n
    go n (Node l _ r) = go (go (n + 1) l) r

main :: IO ()
main = print (size (insert 1 Leaf))
